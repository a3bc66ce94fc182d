# lowvision as a service: `docker build -t lowvision .`, then docs/serve.md. For NVIDIA GPUs:
# docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 -t lowvision:gpu .
ARG PYTHON=3.13
FROM python:${PYTHON}-slim AS build
# The wheels of this index have no CUDA libraries, which are several GB.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY lowvision lowvision
COPY plugins plugins
COPY recipes recipes
RUN python -m venv /opt/lowvision \
    && /opt/lowvision/bin/pip install --no-cache-dir --index-url "${TORCH_INDEX}" torch torchvision \
    && /opt/lowvision/bin/pip install --no-cache-dir ".[serve,video,onnxruntime]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/lowvision /opt/lowvision
# The cache and uploads lie in /tmp, the only folder that must be writable: --read-only --tmpfs /tmp.
# The user has no entry in passwd, so that any other number works too: libraries take home and name from HOME and USER.
ENV PATH=/opt/lowvision/bin:${PATH} HOME=/tmp USER=lowvision LOWVISION_CACHE=/tmp/lowvision \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["lowvision"]
CMD ["serve", "--host", "0.0.0.0"]
