# The embedded Triton on a slim Python, for hosts without a GPU:
#     docker build --file deploy/cpu.Dockerfile --tag gazecrop:cpu .
FROM python:3.11.14-slim-bookworm

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /srv/gazecrop
COPY pyproject.toml README.md LICENSE ./
COPY client client
COPY deploy/constraints.txt deploy/
RUN pip install --constraint deploy/constraints.txt '.[server]'
COPY server server
COPY model_repository model_repository

ENV BIND_ADDRESS=0.0.0.0 \
    HTTP_PORT=8000 \
    GRPC_PORT=8001 \
    METRICS_PORT=8002
EXPOSE 8000 8001 8002
USER 1000:1000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['HTTP_PORT']}/v2/health/ready\", timeout=4)"]
CMD ["python", "-m", "server"]
