// Loaded into the balancer by a test: on SIGUSR2 collects all garbage and tells how much of the heap is left in use.
process.on("SIGUSR2", () => {
	// What a first collection finalises, a second one frees.
	for (let round = 0; round < 3; round++) globalThis.gc();
	setImmediate(() => {
		globalThis.gc();
		const { heapUsed, external } = process.memoryUsage();
		process.send({ type: "heap", bytes: heapUsed + external });
	});
});
