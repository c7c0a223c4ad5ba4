import type { LogMemory } from "../src/memory/log-memory.ts";

/** Thrown in place of a store to shared memory: the process that would have made it is dead. */
export class Death extends Error {
	override readonly name = "Death";
}

/** Counts down the stores that a process may still make. */
export interface Life {
	/** Stores made so far. */
	stores: number;
	/** It dies instead of this store, counted from 0, and touches nothing afterwards. */
	diesAt: number;
	/** What a real process does to itself then; by default it throws. */
	die(): never;
}

export function newLife(diesAt = Number.POSITIVE_INFINITY): Life {
	return {
		stores: 0,
		diesAt,
		die() {
			throw new Death("dead");
		},
	};
}

const targets = new WeakMap<object, { readonly target: Int32Array; readonly life: Life }>();
const changing = ["store", "add", "compareExchange"] as const;

/**
 * The same memory as a process sees it that dies at one of its stores: every store to it is counted, also those within `set`, DataViews and
 * Atomics. Nothing of this is in the code under test.
 */
export function mortal(memory: LogMemory, life: Life): LogMemory {
	return {
		...memory,
		words: watched(memory.words, life),
		floats: watched(memory.floats, life),
		u8: watched(memory.u8, life),
		view: watchedView(memory.view, life),
	};
}

function store(life: Life): void {
	if (life.stores >= life.diesAt) life.die();
	life.stores++;
}

function watched<T extends Int32Array | Float64Array | Uint8Array>(target: T, life: Life): T {
	const proxy = new Proxy(target, {
		get(_, name) {
			const value = Reflect.get(target, name, target);
			if (typeof value !== "function") return value;
			if (name !== "set") return value.bind(target);
			return (source: Uint8Array, at: number) => {
				// Two halves, so that a copy can be cut off in the middle.
				const half = source.length >> 1;
				store(life);
				target.set(source.subarray(0, half), at);
				store(life);
				target.set(source.subarray(half), at + half);
			};
		},
		set(_, name, value) {
			store(life);
			return Reflect.set(target, name, value, target);
		},
	});
	if (target instanceof Int32Array) targets.set(proxy, { target, life });
	return proxy;
}

function watchedView(target: DataView, life: Life): DataView {
	return new Proxy(target, {
		get(_, name) {
			const value = Reflect.get(target, name, target);
			if (typeof value !== "function") return value;
			if (!String(name).startsWith("set")) return value.bind(target);
			return (...args: unknown[]) => {
				store(life);
				return Reflect.apply(value, target, args);
			};
		},
	});
}

/** Runs with Atomics that take watched arrays as well. */
export function withMortalAtomics<Result>(run: () => Result): Result {
	const atomics = Atomics as unknown as Record<string, (...args: unknown[]) => unknown>;
	const names = [...changing, "load"] as const;
	const originals = names.map((name) => atomics[name]!);
	names.forEach((name, index) => {
		atomics[name] = (array, ...args) => {
			const known = targets.get(array as object);
			if (known === undefined) return originals[index]!(array, ...args);
			if (name !== "load") store(known.life);
			return originals[index]!(known.target, ...args);
		};
	});
	try {
		return run();
	} finally {
		names.forEach((name, index) => {
			atomics[name] = originals[index]!;
		});
	}
}
