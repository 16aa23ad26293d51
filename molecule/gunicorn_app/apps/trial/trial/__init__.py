"""An application that behaves as it is told. A test edits these two lines, and has another release.

BEHAVIOUR is `fine`; `import`, `lifespan`, `unhealthy`: broken in that place; `liar:N`: healthy for N answers and never
again; `smoke`: healthy, and 500 for /smoke; `slow:S`: starts after S seconds; `hook`: its migration fails. The variable
TRIAL_BEHAVIOUR of the environment has the last word.
"""

NAME = "first"
BEHAVIOUR = "fine"
