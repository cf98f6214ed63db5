/* SPDX-License-Identifier: Apache-2.0 */
#include "docker_referrer_list.h"

#include "docker_manifest.h"
#include "docker_referrers.h"
#include "index.h"

enum { TRIES = 3 }; /* to be listed, beside others who write at the same time */

static const char index_type[] = "application/vnd.oci.image.index.v1+json";
static const char first[] = "{\"schemaVersion\":2,\"mediaType\":"
                            "\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}";

static bool is_listed(const struct sl_index *index, const struct sl_digest *digest)
{
    for (size_t i = 0; i < index->n_entries; i++)
        if (sl_digest_is_equal(&index->entries[i].descriptor.digest, digest))
            return true;
    return false;
}

/* 1 when the entry is in the list; else old is the list so far. What is no index is not ours to
 * overwrite. */
static int read_list(struct sl_docker_endpoint *ep, const char *tag,
                     const struct sl_layout_entry *entry, struct sl_bytes *old,
                     struct sl_error *err)
{
    SL_AUTO_DONE(sl_source_document) doc = {0};
    SL_AUTO(sl_index) index = NULL;
    int r = sl_docker_find_manifest(ep, tag, &doc, err);
    if (r <= 0)
        return r < 0 ? r : sl_bytes_append(old, sl_span_of(first), sizeof(first), err);
    r = sl_index_parse(sl_bytes_span(&doc.bytes), doc.media_type, &index, err);
    if (r < 0)
        return r;
    *old = doc.bytes;
    doc.bytes = (struct sl_bytes){0};
    return is_listed(index, &entry->digest);
}

static int write_list(struct sl_docker_endpoint *ep, const char *tag,
                      const struct sl_layout_entry *entry, const struct sl_bytes *old,
                      struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) fresh = {0};
    struct sl_digest digest;
    int r = sl_layout_index_put(sl_bytes_span(old), entry, &fresh, err);
    if (r == 0)
        r = sl_digest_of(SL_SHA256, sl_bytes_span(&fresh), &digest, err);
    if (r < 0)
        return r;
    return sl_docker_put_manifest(ep, tag, sl_bytes_span(&fresh), index_type, &digest,
                                  /* ret_subject= */ NULL, err);
}

/* A registry cannot be asked to write only if nobody else has: what was written is read again. */
static int list(struct sl_docker_endpoint *ep, const char *tag, const struct sl_layout_entry *entry,
                struct sl_error *err)
{
    for (int i = 0; i <= TRIES; i++) {
        SL_AUTO_DONE(sl_bytes) old = {0};
        int r = read_list(ep, tag, entry, &old, err);
        if (r != 0)
            return r < 0 ? r : 0;
        r = i < TRIES ? write_list(ep, tag, entry, &old, err) : 0;
        if (r < 0)
            return r;
    }
    return sl_error_set(err, SL_E_NETWORK, EBUSY,
                        "others write the list at the same time; try again");
}

/* Some registries keep a list by themselves, but do not say so when something is put. */
static int is_listed_by_itself(struct sl_docker_endpoint *ep, const struct sl_layout_entry *entry,
                               const struct sl_digest *subject, struct sl_error *err)
{
    SL_AUTO_DONE(sl_referrers) list = {0};
    int r = sl_docker_referrers(ep, subject, &list, err);
    for (size_t i = 0; r > 0 && i < list.n; i++)
        if (sl_digest_is_equal(&list.items[i].descriptor.digest, &entry->digest))
            return 1;
    return r < 0 ? r : 0;
}

int sl_docker_list_referrer(struct sl_docker_endpoint *ep, const struct sl_layout_entry *entry,
                            const struct sl_digest *subject, struct sl_error *err)
{
    int r = is_listed_by_itself(ep, entry, subject, err);
    if (r != 0)
        return r < 0 ? r : 0;
    SL_AUTO_FREE char *tag = sl_referrers_tag(subject);
    if (!tag)
        return sl_error_oom(err);
    r = list(ep, tag, entry, err);
    return r < 0 ? sl_error_wrap(err, r, "list of referrers %.80s", tag) : 0;
}
