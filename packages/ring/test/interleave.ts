/**
 * Runs `other` just before the `step`-th atomic operation of `main`, as another thread could do, and tells whether `main`
 * got that far. With `step` counting up until it answers false, every such interleaving is tried: no luck needed.
 */
export function interleaved<Result>(main: () => Result, step: number, other: () => void): { result: Result; reached: boolean } {
	const names = ["load", "store", "compareExchange", "notify", "waitAsync"] as const;
	const atomics = Atomics as unknown as Record<string, (...args: unknown[]) => unknown>;
	const originals = names.map((name) => atomics[name]);
	let count = 0;
	let within = false;
	names.forEach((name, index) => {
		atomics[name] = (...args) => {
			if (!within && count++ === step) {
				within = true;
				other();
				within = false;
			}
			return originals[index](...args);
		};
	});
	try {
		return { result: main(), reached: count > step };
	} finally {
		names.forEach((name, index) => {
			atomics[name] = originals[index];
		});
	}
}
