# The live configuration once more in /etc/bench/workers: on ports of its own, with a worker for each CPU.
set -eu
cp -rL /etc/nginx /etc/bench/workers
cd /etc/bench/workers/deploy/current
sed -i 's/^worker_processes .*/worker_processes auto;/; s#/run/nginx.pid#/run/bench-workers.pid#' main.conf
find . -name '*.conf' -exec sed -Ei \
    '/^ *listen /{ s/\b80\b/10080/; s/\b443\b/10443/; s/\b8099\b/18099/ }
    s#/var/log/nginx/access.log#/var/log/bench/workers.log#' {} +
