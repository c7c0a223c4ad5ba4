/** Other work on the machine, a whole CPU of it, until it is told to end. */
for (;;);
