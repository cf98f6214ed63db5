/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a plain layer. Whoever serves or tampers with the image controls them: with CTR + HMAC
 * they reach the reader before anything has authenticated them. Read whole and in cuts; both must
 * see the same archive. */
#include "tar_reader.h"

#include <stdio.h>
#include <stdlib.h>

/* What a sink has seen, in one number. */
struct seen {
    uint64_t sum;
    uint64_t next; /* data must ascend */
};

static void mix(struct seen *seen, struct sl_span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        seen->sum = (seen->sum ^ bytes.data[i]) * 0x100000001b3;
}

static void mix_number(struct seen *seen, uint64_t n)
{
    mix(seen, (struct sl_span){(const uint8_t *)&n, sizeof(n)});
}

static int begin(void *arg, const struct sl_tar_entry *entry, struct sl_error *err)
{
    struct seen *seen = arg;
    (void)err;
    mix_number(seen, entry->type);
    mix(seen, entry->name);
    mix(seen, entry->linkname);
    if (entry->name.data[entry->name.len] || entry->linkname.data[entry->linkname.len])
        abort();
    mix_number(seen, entry->size);
    mix_number(seen, (uint64_t)entry->mtime.tv_sec);
    if (entry->mtime.tv_nsec < 0 || entry->mtime.tv_nsec > 999999999 || entry->mode > 07777)
        abort();
    for (size_t i = 0; i < entry->n_xattrs; i++) {
        mix(seen, entry->xattrs[i].name);
        mix(seen, entry->xattrs[i].value);
    }
    seen->next = 0;
    return 0;
}

static int data(void *arg, struct sl_span bytes, uint64_t offset, struct sl_error *err)
{
    struct seen *seen = arg;
    (void)err;
    if (offset < seen->next || !bytes.len)
        abort();
    seen->next = offset + bytes.len;
    mix(seen, bytes);
    return 0;
}

static int end(void *arg, struct sl_error *err)
{
    (void)err;
    mix_number(arg, 0xe0d);
    return 0;
}

/* cut 0: all at once. */
static int read_all(const uint8_t *bytes, size_t size, size_t cut, struct seen *seen)
{
    const struct sl_tar_sink sink = {.begin = begin, .data = data, .end = end, .arg = seen};
    SL_AUTO(sl_tar_reader) reader = NULL;
    struct sl_error err;
    if (sl_tar_reader_new(NULL, &sink, &reader, &err) < 0)
        return -ENOMEM;
    for (size_t at = 0; at < size;) {
        size_t n = cut && cut < size - at ? cut : size - at;
        int r = sl_tar_reader_push(reader, (struct sl_span){bytes + at, n}, &err);
        if (r < 0)
            return r;
        at += n;
    }
    return sl_tar_reader_finish(reader, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct seen whole = {0}, cut = {0};
    int r = read_all(bytes, size, 0, &whole);
    size_t width = size ? 1 + bytes[size - 1] % 200 : 1;
    if (read_all(bytes, size, width, &cut) != r || whole.sum != cut.sum)
        abort();
    return 0;
}
