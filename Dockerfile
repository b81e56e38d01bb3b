# ampsim in a container, from the lock file; nothing is fetched but this base and what the package index holds.
#   docker build -t ampsim .
#   docker build -t ampsim:gpu --build-arg ACCELERATOR=gpu .      # needs NVIDIA's driver and container toolkit on the host
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" ampsim train my_amp.wav
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" --gpus all ampsim:gpu train my_amp.wav
# The page of the runs listens on 127.0.0.1 of the container: add --network host to `docker run` for `ampsim ui`.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ARG ACCELERATOR=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN case "$ACCELERATOR" in cpu|gpu) ;; *) echo "ACCELERATOR=$ACCELERATOR: it is cpu or gpu" >&2; exit 1 ;; esac
RUN python -m venv /opt/ampsim
ENV PATH=/opt/ampsim/bin:$PATH
WORKDIR /source
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
# CUDA's libraries as packages, those that the locked TensorFlow names.
RUN if [ "$ACCELERATOR" = gpu ]; then \
      pip install "tensorflow[and-cuda]==$(python -c 'from importlib.metadata import version; print(version("tensorflow"))')"; \
    fi
COPY pyproject.toml README.md LICENSE ./
COPY ampsim ampsim
COPY conf conf
COPY hydra_plugins hydra_plugins
RUN pip install --no-deps --no-build-isolation .

FROM python:${PYTHON}-slim
COPY --from=build /opt/ampsim /opt/ampsim
# Any user may run it, as `--user` says: what is cached goes where all may write.
RUN useradd --create-home --uid 1000 ampsim && mkdir -m 777 /work /cache
ENV PATH=/opt/ampsim/bin:$PATH AMPSIM_CACHE=/cache MPLCONFIGDIR=/cache HOME=/cache
USER ampsim
WORKDIR /work
ENTRYPOINT ["ampsim"]
CMD ["--help"]
