// What jemalloc reads at its start in every program that links it (calserve_allocator); MALLOC_CONF in the
// environment comes after it. Its manual has each name.
//
// oversize_threshold:0. By default memory of 8 MiB and more goes back to the system as soon as it is freed:
// each forward pass of a batch of large activations would fault it in again, page by page. So it is kept and
// goes back after some seconds, as all other. background_thread:true. Else only a thread that allocates gives
// back, and an idle server keeps what it had.
extern "C" const char* const malloc_conf = "oversize_threshold:0,background_thread:true";
