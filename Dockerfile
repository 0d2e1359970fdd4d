# healthmon as one image: `up`, `server`, `poller`, `agent` and `watchdog` are commands of the same program.
# BASE is any image with Python 3.11 or newer; it defaults to the slim Debian one.
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}

# A folder `wheelhouse` beside this file serves builds without a package index (then nothing is fetched).
COPY . /src
RUN python3 -m venv /opt/healthmon \
 && if ls /src/wheelhouse/*.whl >/dev/null 2>&1; then find="--no-index --find-links /src/wheelhouse"; else find=""; fi \
 && /opt/healthmon/bin/pip install --no-cache-dir --disable-pip-version-check $find "/src[server]" \
 && rm -rf /src \
 && useradd --system --uid 10001 --home-dir /var/lib/healthmon --no-create-home healthmon \
 && install -d -o healthmon -g healthmon -m 0750 /var/lib/healthmon

# /etc/healthmon/healthmon.yaml is found there; `web: {listen: "0.0.0.0:8470"}` in it opens the board to other machines.
ENV PATH=/opt/healthmon/bin:$PATH HEALTHMON_DATA_DIR=/var/lib/healthmon
USER healthmon
WORKDIR /var/lib/healthmon
VOLUME /var/lib/healthmon
EXPOSE 8470
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8470/api/v1/health', timeout=4)"
ENTRYPOINT ["healthmon"]
CMD ["up"]
