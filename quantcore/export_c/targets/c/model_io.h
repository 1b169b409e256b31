/* The model as the harness sees it: model_io.c, which is written for each model, joins the two. */
#ifndef MODEL_IO_H
#define MODEL_IO_H

#include <stdint.h>

struct model_buffer {
    void *data;
    uint32_t size; /* in bytes */
};

extern const struct model_buffer model_io_inputs[], model_io_outputs[];
extern const int model_io_input_count, model_io_output_count, model_io_step_count;

void model_io_reset(void);
int model_io_invoke(void);

/* The same in steps: inputs first, then steps 0 to model_io_step_count - 1. */
void model_io_set_inputs(void);
int model_io_invoke_step(int step);

#endif
