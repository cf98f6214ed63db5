/* SPDX-License-Identifier: Apache-2.0 */
#include "layout_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <ftw.h>

#include <cmocka.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void make_dir(const struct layout_fixture *fx, const char *name)
{
    SL_AUTO_FREE char *path = sl_strf("%s/%s", fx->dir, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

void layout_fixture_new(struct layout_fixture *fx)
{
    (void)snprintf(fx->dir, sizeof(fx->dir), "/tmp/sluice-layout-XXXXXX");
    assert_non_null(mkdtemp(fx->dir));
    make_dir(fx, "blobs");
    make_dir(fx, "blobs/sha256");
    make_dir(fx, "blobs/sha512");
    layout_fixture_write(fx, "oci-layout", sl_span_of("{\"imageLayoutVersion\":\"1.0.0\"}"));
}

void layout_fixture_free(struct layout_fixture *fx)
{
    (void)nftw(fx->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void layout_fixture_write(const struct layout_fixture *fx, const char *path, struct sl_span bytes)
{
    SL_AUTO_FREE char *full = sl_strf("%s/%s", fx->dir, path);
    FILE *f = fopen(full, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
}

static char *relative_path(const struct sl_digest *digest)
{
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(digest, hex);
    return sl_strf("blobs/%s/%s", sl_digest_alg_name(digest->alg), hex);
}

char *layout_fixture_blob_path(const struct layout_fixture *fx, const struct sl_digest *digest)
{
    SL_AUTO_FREE char *path = relative_path(digest);
    return sl_strf("%s/%s", fx->dir, path);
}

struct sl_digest layout_fixture_add(const struct layout_fixture *fx, struct sl_span bytes,
                                    enum sl_digest_alg alg)
{
    struct sl_digest digest;
    assert_int_equal(sl_digest_of(alg, bytes, &digest, NULL), 0);
    SL_AUTO_FREE char *path = relative_path(&digest);
    layout_fixture_write(fx, path, bytes);
    return digest;
}

char *layout_fixture_descriptor(const char *media_type, const struct sl_digest *digest,
                                uint64_t size, const char *more)
{
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, text);
    return sl_strf("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu%s}", media_type, text,
                   (unsigned long long)size, more);
}

char *layout_fixture_add_document(const struct layout_fixture *fx, const char *media_type,
                                  const char *text, const char *more)
{
    struct sl_digest digest = layout_fixture_add(fx, sl_span_of(text), SL_SHA256);
    return layout_fixture_descriptor(media_type, &digest, strlen(text), more);
}

void layout_fixture_write_index(const struct layout_fixture *fx, const char *descriptors)
{
    SL_AUTO_FREE char *text = sl_strf("{\"schemaVersion\":2,\"manifests\":[%s]}", descriptors);
    layout_fixture_write(fx, "index.json", sl_span_of(text));
}
