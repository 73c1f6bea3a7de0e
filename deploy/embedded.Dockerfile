# The embedded Triton on a slim Python, for laptops and CI. What faces a network that you do not trust
# is deploy/Dockerfile's: this Triton, 2.51, has known holes (SECURITY.md).
#     make image
FROM docker.io/library/python:3.11.14-slim-bookworm

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1

WORKDIR /srv/gazecrop
COPY deploy/requirements/embedded.txt deploy/requirements/
RUN pip install --require-hashes --only-binary :all: --no-binary pyvips --requirement deploy/requirements/embedded.txt
# Here, since Triton's Python backend looks in its working directory and not in PYTHONPATH.
COPY client/gazecrop gazecrop
COPY server server
COPY model_repository model_repository

ENV ORT_DISABLE_TELEMETRY=1 \
    BIND_ADDRESS=0.0.0.0 \
    HTTP_PORT=8000 \
    GRPC_PORT=8001 \
    METRICS_PORT=8002
EXPOSE 8000 8001 8002
USER 1000:1000
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s CMD ["python", "-m", "server.alive"]
CMD ["python", "-m", "server"]
