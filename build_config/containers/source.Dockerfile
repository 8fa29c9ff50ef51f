# The environment in which TensorFlow is built from source: what its own build image has, as far as a wheel needs it.
# Source: tensorflow/tensorflow@0866b7a, ci/official/containers/ml_build/Dockerfile, which has this base image and clang.
FROM ubuntu:22.04@sha256:58b87898e82351c6cf9cf5b9f3c20257bb9e2dcf33af051e12ce532d7f94e3fe

ENV DEBIAN_FRONTEND=noninteractive

# Packages of a release are replaced by their security updates, and no archive keeps the old ones: none is pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        build-essential ca-certificates curl file git gnupg openssh-client patch patchelf python3 python3-dev unzip zip \
    && rm -rf /var/lib/apt/lists/*

# clang 18, in /usr/lib/llvm-18, from LLVM's own packages, whose key has this fingerprint.
ARG LLVM=18
ARG LLVM_KEY=6084F3CF814B57C1CF12EFD515CF4D18AF4F7421
# hadolint ignore=DL3008
RUN curl --fail --silent --show-error --location https://apt.llvm.org/llvm-snapshot.gpg.key --output /tmp/llvm.asc \
    && gpg --show-keys --with-colons /tmp/llvm.asc > /tmp/llvm.keys \
    && grep --quiet "^fpr:*${LLVM_KEY}:$" /tmp/llvm.keys \
    && gpg --dearmor --output /usr/share/keyrings/llvm.gpg /tmp/llvm.asc \
    && echo "deb [signed-by=/usr/share/keyrings/llvm.gpg] https://apt.llvm.org/jammy/ llvm-toolchain-jammy-${LLVM} main" \
        > /etc/apt/sources.list.d/llvm.list \
    && apt-get update \
    && apt-get install -y --no-install-recommends "clang-${LLVM}" "lld-${LLVM}" \
    && rm -rf /var/lib/apt/lists/* /tmp/llvm.asc /tmp/llvm.keys

# Bazelisk starts the Bazel that .bazelversion of the tree names.
ARG BAZELISK=1.28.1
ARG BAZELISK_SHA256=22e7d3a188699982f661cf4687137ee52d1f24fec1ec893d91a6c4d791a75de8
RUN curl --fail --silent --show-error --location --output /usr/local/bin/bazel \
        "https://github.com/bazelbuild/bazelisk/releases/download/v${BAZELISK}/bazelisk-linux-amd64" \
    && echo "${BAZELISK_SHA256}  /usr/local/bin/bazel" > /tmp/bazel.sum \
    && sha256sum --check --strict /tmp/bazel.sum \
    && chmod +x /usr/local/bin/bazel

# Whoever runs it: the tree belongs to another user, and git would refuse to read it.
RUN git config --system --add safe.directory '*'
WORKDIR /tree
