# lookalike as a container; see docs/deploying.md.
#
#   docker build -t lookalike .
#   docker run -v lookalike:/data -v /srv/photos:/photos:ro lookalike index /photos -c shop
#   docker run -v lookalike:/data -v /srv/photos:/photos:ro -p 127.0.0.1:8000:8000 lookalike

ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY requirements requirements
COPY src src
# The tools that build are the locked ones too.
RUN sed -n 's/^\([a-z0-9.-]*==[^ ;]*\).*/\1/p' requirements/dev.txt > tools.txt \
    && PIP_CONSTRAINT=tools.txt pip wheel --no-deps --wheel-dir wheels .
# Everything comes as a wheel: nothing is compiled, and nothing is run to be installed.
RUN python -m venv /opt/lookalike \
    && /opt/lookalike/bin/pip install --require-hashes --only-binary :all: -r requirements/runtime.txt \
    && /opt/lookalike/bin/pip install --no-deps wheels/*.whl \
    && /opt/lookalike/bin/pip check

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="lookalike" \
      org.opencontainers.image.description="Visual search: hand in a picture, get the ones that look alike" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/lookalike /opt/lookalike
COPY examples/deploy/healthy.py /opt/lookalike/healthy.py
# A number, so that it can be seen from outside that this is not root.
RUN groupadd --system --gid 10001 lookalike \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /data lookalike \
    && install -d -o lookalike -g lookalike /data
ENV PATH=/opt/lookalike/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LOOKALIKE_HOME=/data \
    LOOKALIKE_CACHE=/data/cache \
    LOOKALIKE_HOST=0.0.0.0 \
    LOOKALIKE_PORT=8000
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["python", "/opt/lookalike/healthy.py"]
ENTRYPOINT ["lookalike"]
CMD ["serve"]
