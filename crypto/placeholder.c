typedef int sl_placeholder; /* replaced by the first source of this module */
