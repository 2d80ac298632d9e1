// For static programs: libtraceevent reaches its plugins, and with them dlopen, only to forget their
// folders. None is ever loaded here, so there is nothing to forget.
struct tep_handle;
void free_tep_plugin_paths(struct tep_handle* tep);
void free_tep_plugin_paths(struct tep_handle* tep) { (void)tep; }
