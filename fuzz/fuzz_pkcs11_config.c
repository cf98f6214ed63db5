/* SPDX-License-Identifier: Apache-2.0 */
/* The operator controls these bytes: a key file of PKCS11, or the policy about modules. They are
 * trusted, and yet must not crash anything. */
#include "pkcs11_key_file.h"
#include "pkcs11_policy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sl_span text = {data, size};
    SL_AUTO_DONE(sl_pkcs11_key_file) file = {0};
    SL_AUTO_DONE(sl_pkcs11_policy) policy = {0};
    SL_AUTO_FREE char *module = NULL;
    struct sl_error err;
    if (sl_pkcs11_key_file_parse(text, &file, &err) == 0 && !file.uri)
        abort();
    if (sl_pkcs11_policy_parse(text, &policy, &err) == 0)
        (void)!sl_pkcs11_policy_find(&policy, "/proc/../nothing", NULL, &module, &err);
    return 0;
}
