/* SPDX-License-Identifier: Apache-2.0 */
#include "image_scope.h"

#include "sluice/core/digest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char layout_prefix[] = "oci:";

static bool is_layout(const char *name)
{
    return strncmp(name, layout_prefix, strlen(layout_prefix)) == 0;
}

const char *sl_image_transport(const char *name)
{
    return is_layout(name) ? "oci" : "docker";
}

static struct sl_span span(const char *text, size_t len)
{
    return (struct sl_span){(const uint8_t *)text, len};
}

/* Length without the "@digest" and ":tag" of the last segment. */
static size_t docker_repository_len(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *last = slash ? slash + 1 : name;
    return (size_t)(last - name) + strcspn(last, ":@");
}

/* A directory ends at the first colon, which is a tag's, or in a digest's algorithm. */
struct sl_span sl_image_layout_dir(const char *name)
{
    const char *dir = name + strlen(layout_prefix);
    size_t len = strcspn(dir, ":");
    const char *at = dir[len] ? memrchr(dir, '@', len) : NULL;
    for (int alg = SL_SHA256; at && alg <= SL_SHA512; alg++) {
        const char *text = sl_digest_alg_name((enum sl_digest_alg)alg);
        size_t text_len = (size_t)(dir + len - at - 1);
        if (strlen(text) == text_len && memcmp(at + 1, text, text_len) == 0)
            return span(dir, (size_t)(at - dir));
    }
    return span(dir, len);
}

/* The parent's length: without the last '/' and what follows; 0 when there is none. */
static size_t parent_len(const char *name, size_t len)
{
    const char *slash = memrchr(name, '/', len);
    return slash ? (size_t)(slash - name) : 0;
}

/* ---- the walk ---- */

enum step { IDENTITY, PARENTS, DOMAINS, END };

void sl_image_scopes_begin(struct sl_image_scopes_walk *walk, const char *name)
{
    if (is_layout(name)) {
        struct sl_span dir = sl_image_layout_dir(name);
        *walk = (struct sl_image_scopes_walk){
            .name = (const char *)dir.data, .parent_len = dir.len, .step = PARENTS};
        if (dir.len == 1 && dir.data[0] == '/')
            walk->parent_len = 0;
        return;
    }
    size_t len = docker_repository_len(name);
    *walk = (struct sl_image_scopes_walk){
        .name = name, .domain = name, .repository_len = len, .parent_len = len};
}

static bool next_identity(struct sl_image_scopes_walk *walk)
{
    size_t len = walk->repository_len;
    const char *rest = walk->name + len;
    const char *at = strchr(rest, '@');
    walk->step = PARENTS;
    walk->head = span(walk->name, len);
    walk->tail = span(at ? at : rest, strlen(at ? at : rest));
    return *rest != '\0';
}

static bool next_parent(struct sl_image_scopes_walk *walk)
{
    if (walk->parent_len == 0) {
        walk->step = walk->domain ? DOMAINS : END;
        return false;
    }
    walk->head = span(walk->name, walk->parent_len);
    walk->tail = span("", 0);
    walk->parent_len = parent_len(walk->name, walk->parent_len);
    return true;
}

static bool next_domain(struct sl_image_scopes_walk *walk)
{
    const char *end = walk->name + strcspn(walk->name, ":/");
    const char *dot =
        walk->domain < end ? memchr(walk->domain, '.', (size_t)(end - walk->domain)) : NULL;
    if (!dot) {
        walk->step = END;
        return false;
    }
    walk->head = span("*", 1);
    walk->tail = span(dot, (size_t)(end - dot));
    walk->domain = dot + 1;
    return true;
}

bool sl_image_scopes_next(struct sl_image_scopes_walk *walk)
{
    if (walk->step == IDENTITY && next_identity(walk))
        return true;
    if (walk->step == PARENTS && next_parent(walk))
        return true;
    return walk->step == DOMAINS && next_domain(walk);
}

/* The first host_len bytes of text are compared as names of hosts are: without their case (RFC
 * 4343).
 */
static bool is_same(const char *text, size_t host_len, struct sl_span part)
{
    size_t n = host_len < part.len ? host_len : part.len;
    return strncasecmp(text, (const char *)part.data, n) == 0 &&
           memcmp(text + n, part.data + n, part.len - n) == 0;
}

bool sl_scope_is_same(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && is_same(a, strcspn(a, "/"), sl_span_of(b));
}

/* Of a scope, too, the host ends at the first slash. */
bool sl_image_scopes_is_at(const struct sl_image_scopes_walk *walk, const char *text)
{
    size_t head = walk->head.len;
    size_t host = walk->domain ? strcspn(text, "/") : 0;
    return strlen(text) == head + walk->tail.len && is_same(text, host, walk->head) &&
           is_same(text + head, host > head ? host - head : 0, walk->tail);
}

/* ---- the list ---- */

static int append(struct sl_image_scopes_walk *walk, char ***list, size_t n, struct sl_error *err)
{
    char **longer = realloc(*list, (n + 2) * sizeof(*longer));
    if (!longer)
        return sl_error_oom(err);
    *list = longer;
    longer[n] = sl_strf("%.*s%.*s", (int)walk->head.len, (const char *)walk->head.data,
                        (int)walk->tail.len, (const char *)walk->tail.data);
    longer[n + 1] = NULL;
    return longer[n] ? 0 : sl_error_oom(err);
}

int sl_image_scopes(const char *name, char ***ret, struct sl_error *err)
{
    struct sl_image_scopes_walk walk;
    sl_image_scopes_begin(&walk, name);
    char **list = calloc(1, sizeof(*list));
    int r = list ? 0 : sl_error_oom(err);
    for (size_t n = 0; r == 0 && sl_image_scopes_next(&walk); n++)
        r = append(&walk, &list, n, err);
    if (r < 0) {
        sl_image_scopes_free(list);
        return r;
    }
    *ret = list;
    return 0;
}

void sl_image_scopes_free(char **scopes)
{
    for (char **scope = scopes; scope && *scope; scope++)
        free(*scope);
    free(scopes);
}

/* ---- paths ---- */

bool sl_scope_is_clean_path(struct sl_span path)
{
    const char *p = (const char *)path.data;
    size_t len = path.len;
    if (len < 2 || p[0] != '/')
        return false;
    while (len > 0) {
        p++;
        len--;
        const char *slash = memchr(p, '/', len);
        size_t n = slash ? (size_t)(slash - p) : len;
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += n;
        len -= n;
    }
    return true;
}
