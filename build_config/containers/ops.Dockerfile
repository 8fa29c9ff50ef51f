# The environment in which the ops wheel is built for an older platform: the image that cibuildwheel builds in, and clang.
# [tool.cibuildwheel.linux] in build_config/ops/pyproject.toml names the same base: there the project is built without this file.
FROM quay.io/pypa/manylinux_2_28_x86_64@sha256:e0adf18521ad35192df733a6c62d35df7801957d24e0470238aacecfab2188a3

# The compiler of GPU code, which build_config/ops/container/device-compiler installs at each build where it is missing.
# Clang 17 is the first that supports CUDA 12 and sm_90.
# Packages of a release are replaced by their updates, and no archive keeps the old ones: none is pinned.
# hadolint ignore=DL3041
RUN dnf install -y clang \
    && dnf clean all \
    && version=$(clang++ -dumpversion) \
    && test "${version%%.*}" -ge 17
