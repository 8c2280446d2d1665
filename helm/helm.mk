# The container image; the chart itself needs no build.
IMAGE_STAMP := build/.deps-image
IMAGE ?= localhost/weft/weftd:$(shell sed -n 's/.*WEFT_VERSION "\(.*\)"/\1/p' include/weft/version.h)

$(IMAGE_STAMP): .ci/packages.mk .ci/install-packages
	@mkdir -p $(@D)
	@.ci/install-packages $(PACKAGES_IMAGE)
	@touch $@

.PHONY: image
image: all | $(IMAGE_STAMP) ## the container image as an OCI tar, build/image.tar (IMAGE=name:tag)
	@helm/image/build --programs build --output build/image.tar --name $(IMAGE)
