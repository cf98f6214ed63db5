/* SPDX-License-Identifier: Apache-2.0 */
/* Registry rules, and what they make of references. Who controls them: the operator, or in a guest
 * whoever answers for the rules' URI. Whatever a rule says, an endpoint has a host, a path and
 * nothing that leads out of it. */
#include "mirror.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct sl_endpoint *e)
{
    if (!*e->host || !*e->repository || strpbrk(e->host, "@/?#%\\ \r\n") ||
        strpbrk(e->repository, ":@?#%\\ \r\n") || strstr(e->repository, "/../"))
        abort();
}

static void plan(const struct sl_registry_rules *rules, const char *host, const char *repository,
                 bool has_host)
{
    struct sl_reference ref = {(char *)host, (char *)repository, (char *)"latest", false, {0}};
    SL_AUTO(sl_mirror_plan) p = NULL;
    struct sl_error err;
    if (sl_mirror_plan(rules, &ref, has_host, &p, &err) < 0)
        return;
    if (p->n_endpoints == 0)
        abort();
    for (size_t i = 0; i < p->n_endpoints; i++)
        check(&p->endpoints[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO(sl_registry_rules) rules = NULL;
    struct sl_error err;
    if (sl_registry_rules_parse((struct sl_span){data, size}, "fuzz", &rules, &err) < 0)
        return 0;
    plan(rules, "docker.io", "library/a", false);
    plan(rules, "docker.io", "a/b", true);
    plan(rules, "example.com", "foo/image", true);
    plan(rules, "a.example.com:5000", "foo", true);
    return 0;
}
