/** Uses a whole CPU until it is stopped, to simulate other work on the machine. */
for (;;);
