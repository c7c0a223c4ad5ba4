/** Ctrl-C in a terminal reaches each process of the group, and one passes it on to another: what comes this soon after the first is the same one. */
const sameMs = 3_000;

/** Aborted by SIGINT and SIGTERM, and when the process that started this one is gone. A second signal ends this process at once. */
export function interruption(): AbortSignal {
	const controller = new AbortController();
	let firstMs: number | null = null;
	const interrupt = (): void => {
		const nowMs = performance.now();
		firstMs ??= nowMs;
		if (nowMs - firstMs > sameMs) process.exit(130);
		controller.abort();
	};
	for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, interrupt);
	const parent = process.ppid;
	// However it ended: nobody would see or end this run.
	const orphaned = setInterval(() => {
		if (process.ppid === parent) return;
		clearInterval(orphaned);
		interrupt();
	}, 500);
	orphaned.unref();
	return controller.signal;
}
