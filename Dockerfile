# Needs no ffmpeg: PyAV brings the libraries. The weights of Whisper base are in the image.
FROM python:3.11-slim AS build

ENV UV_LINK_MODE=copy \
    UV_PYTHON=/opt/venv/bin/python
WORKDIR /app
COPY requirements-uv.lock requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements-uv.lock \
    && python -m venv --without-pip /opt/venv
# Compiled here: the WhisperX process may write nothing, and would compile anew at each start.
RUN uv pip install --no-cache --require-hashes --no-deps --compile-bytecode -r requirements.lock
COPY modules/ modules/
RUN /opt/venv/bin/python -m modules.models base


FROM python:3.11-slim

# The same number as the first user of most machines, so that bind-mounted folders are writable.
RUN useradd --uid 1000 --create-home transcriber
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app/models models/
COPY transcriber.py config.yaml ./
COPY modules/ modules/
COPY samples/ samples/
RUN install -d -o transcriber -g transcriber shared manual

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    API_HOST=0.0.0.0 \
    SHARED_DIRECTORY=/app/shared \
    MANUAL_DIRECTORY=/app/manual
USER transcriber
VOLUME ["/app/shared", "/app/manual"]
EXPOSE 8000

# /health answers 503 when unhealthy, which urlopen raises.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=8)"]

CMD ["python", "transcriber.py", "run"]
