/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PKCS#11 module that is another, $PKCS11_SPY_MODULE, and notes in $PKCS11_SPY_LOG each time it
 * is initialized ("+") and finalized ("-").
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <stdlib.h>
#include <unistd.h>

static CK_FUNCTION_LIST own;
static const CK_FUNCTION_LIST *other;

static void note(const char *text)
{
    int fd = open(getenv("PKCS11_SPY_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, 1) != 1 || close(fd) < 0)
        abort();
}

static CK_RV initialize(void *args)
{
    note("+");
    return other->C_Initialize(args);
}

static CK_RV finalize(void *reserved)
{
    note("-");
    return other->C_Finalize(reserved);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    void *handle = dlopen(getenv("PKCS11_SPY_MODULE"), RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get =
        handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
    CK_FUNCTION_LIST *list = NULL;
    if (!get || get(&list) != CKR_OK)
        return CKR_GENERAL_ERROR;
    other = list;
    own = *list;
    own.C_Initialize = initialize;
    own.C_Finalize = finalize;
    *ret = &own;
    return CKR_OK;
}
