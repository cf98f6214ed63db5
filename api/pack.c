/* SPDX-License-Identifier: Apache-2.0 */
#include "pack.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 8 };

_Static_assert(_Alignof(void *) <= ALIGNMENT && _Alignof(uint64_t) <= ALIGNMENT &&
                   _Alignof(double) <= ALIGNMENT,
               "what is packed fits its places");

static void *take(struct sl_pack *p, size_t size, size_t alignment)
{
    size_t at = (p->used + alignment - 1) / alignment * alignment;
    p->used = at + size;
    /* More than was measured: whoever fills broke its promise, and gets nothing. */
    return p->base && p->used <= p->size ? p->base + at : NULL;
}

void *sl_pack_room(struct sl_pack *p, size_t size)
{
    return take(p, size, ALIGNMENT);
}

const void *sl_pack_value(struct sl_pack *p, const void *value, size_t size)
{
    void *room = take(p, size, ALIGNMENT);
    return room && size ? memcpy(room, value, size) : room;
}

static const char *place(struct sl_pack *p, const void *text, size_t len)
{
    char *room = take(p, len + 1, 1);
    return room && len ? memcpy(room, text, len) : room;
}

const char *sl_pack_text(struct sl_pack *p, const char *text)
{
    return text ? place(p, text, strlen(text)) : NULL;
}

const char *sl_pack_bytes(struct sl_pack *p, const struct sl_bytes *bytes)
{
    return place(p, bytes->data, bytes->len);
}

const char *sl_pack_digest(struct sl_pack *p, const struct sl_digest *digest)
{
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, text);
    return sl_pack_text(p, text);
}

void *sl_pack_make(sl_pack_fn *fill, const void *from)
{
    struct sl_pack p = {0};
    fill(&p, from);
    p.size = p.used;
    p.used = 0;
    p.base = calloc(1, p.size);
    if (p.base)
        fill(&p, from);
    return p.base;
}
