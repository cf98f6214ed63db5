/* SPDX-License-Identifier: Apache-2.0 */
/* Media types of layers: OCI's, docker's, and the "+encrypted" forms of both, which are ocicrypt's
 * and in no image-spec. The list is closed: an unknown type is refused by name. */
#include "sluice/manifest.h"

#include <string.h>

static const struct layer_type {
    const char *name;
    enum sl_layer_compression compression;
    bool foreign;
} layer_types[] = {
    {"application/vnd.oci.image.layer.v1.tar", SL_LAYER_PLAIN, false},
    {"application/vnd.oci.image.layer.v1.tar+gzip", SL_LAYER_GZIP, false},
    {"application/vnd.oci.image.layer.v1.tar+zstd", SL_LAYER_ZSTD, false},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar", SL_LAYER_PLAIN, true},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", SL_LAYER_GZIP, true},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", SL_LAYER_ZSTD, true},
    {"application/vnd.docker.image.rootfs.diff.tar", SL_LAYER_PLAIN, false},
    {"application/vnd.docker.image.rootfs.diff.tar.gzip", SL_LAYER_GZIP, false},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd", SL_LAYER_ZSTD, false},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar", SL_LAYER_PLAIN, true},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", SL_LAYER_GZIP, true},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd", SL_LAYER_ZSTD, true},
};

static const char encrypted_suffix[] = "+encrypted";

/* Length of media_type without the suffix, or its whole length. */
static size_t plain_len(const char *media_type)
{
    size_t len = strlen(media_type);
    size_t suffix = strlen(encrypted_suffix);
    if (len >= suffix && strcmp(media_type + len - suffix, encrypted_suffix) == 0)
        return len - suffix;
    return len;
}

int sl_layer_media_parse(const char *media_type, struct sl_layer_media *ret, struct sl_error *err)
{
    size_t len = plain_len(media_type);
    for (size_t i = 0; i < sizeof(layer_types) / sizeof(layer_types[0]); i++) {
        const struct layer_type *t = &layer_types[i];
        if (strlen(t->name) != len || memcmp(t->name, media_type, len) != 0)
            continue;
        *ret = (struct sl_layer_media){.compression = t->compression,
                                       .encrypted = media_type[len] != '\0',
                                       .foreign = t->foreign};
        return 0;
    }
    /* Callers and their tests look for this text. */
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "unhandled media type: %s", media_type);
}
