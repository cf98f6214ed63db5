/* SPDX-License-Identifier: Apache-2.0 */
#include "privileges.h"

#include "sluice/core/log.h"

#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The unit says what for. */
static const struct {
    unsigned number;
    const char *name;
} needed[] = {
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
    {CAP_CHOWN, "CAP_CHOWN"},
    {CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
    {CAP_FOWNER, "CAP_FOWNER"},
    {CAP_MKNOD, "CAP_MKNOD"},
    {CAP_SETFCAP, "CAP_SETFCAP"},
};

void sl_warn_of_privileges(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {0};
    char missing[128] = "";
    size_t len = 0;
    if (syscall(SYS_capget, &header, sets) < 0)
        return; /* the pulls will tell */
    uint64_t have = (uint64_t)sets[1].effective << 32 | sets[0].effective;
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (!(have >> needed[i].number & 1))
            len += (size_t)snprintf(missing + len, sizeof(missing) - len, "%s%s", len ? ", " : "",
                                    needed[i].name);
    if (len > 0)
        sl_log(SL_LOG_WARN, "images cannot be unpacked and mounted without %s: run sluiced as root",
               missing);
}
