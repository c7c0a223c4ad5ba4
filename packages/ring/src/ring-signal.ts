import { RingLayout } from "./ring-descriptor.ts";
import { RingError, RingErrorCode } from "./ring-error.ts";

const awake = 0;
const sleeping = 1;

/** Bytes to set aside for a signal: a line of its own. */
export const signalBytes: number = RingLayout.lineBytes;

/**
 * Wakes a thread that waits for a ring to change, within one process: a worker that writes wakes the event loop that reads,
 * or, with a second signal, a reader that made room wakes a writer that found the ring full. **One sleeper, any number of
 * wakers.** Not for memory that is shared between processes: Atomics.notify does not reach them.
 *
 * One word, `sleeping`. No wake-up is lost, because each side writes before it looks:
 *
 *   sleeper: sleeping = 1, then look whether there is something, then sleep while sleeping is 1
 *   waker:   change the ring, then look at sleeping; if it is 1, set it to 0 and notify
 *
 * As all four are sequentially consistent, either the sleeper sees the change or the waker sees the sleeper. Under load
 * nobody sleeps, and a wake costs one load.
 *
 * A pending `sleep` does not keep its thread alive: Atomics.waitAsync holds no reference to the event loop, so a process
 * with nothing else to do exits in the middle of it. Servers and message ports hold one; otherwise keep a timer.
 */
export class RingSignal {
	readonly #words: Int32Array<SharedArrayBuffer>;

	/** The bytes must be zero at first. `byteOffset` is a multiple of 4. */
	constructor(buffer: SharedArrayBuffer, byteOffset = 0) {
		if (byteOffset % 4 !== 0 || byteOffset < 0 || buffer.byteLength - byteOffset < signalBytes)
			throw new RingError(
				RingErrorCode.badArgument,
				`a signal at byte ${byteOffset} of ${buffer.byteLength}`,
				`it takes ${signalBytes} bytes from a multiple of 4`,
			);
		this.#words = new Int32Array(buffer, byteOffset, 1);
	}

	/** Call after the change (commit, or drain). Cheap when the other side is awake, so call it after every batch. */
	wake(): void {
		if (Atomics.load(this.#words, 0) !== sleeping) return;
		// Several wakers may see the sleeper; the one that changes the word notifies.
		if (Atomics.compareExchange(this.#words, 0, sleeping, awake) === sleeping) Atomics.notify(this.#words, 0);
	}

	/**
	 * Sleeps until woken, but not when `isThere()` already holds, and `timeoutMs` at most. True when there was something or
	 * somebody woke us, false when the time was up. The event loop runs meanwhile.
	 */
	async sleep(isThere: () => boolean, timeoutMs: number): Promise<boolean> {
		Atomics.store(this.#words, 0, sleeping);
		if (isThere()) {
			Atomics.store(this.#words, 0, awake);
			return true;
		}
		// "not-equal" comes at once: somebody woke us between the look and here.
		const wait = Atomics.waitAsync(this.#words, 0, sleeping, timeoutMs);
		const outcome = wait.async ? await wait.value : wait.value;
		return outcome !== "timed-out" || this.#stopSleeping();
	}

	/** As `sleep`, for a worker thread that may block. The main thread of a browser may not; Node's may, but should not. */
	sleepBlocking(isThere: () => boolean, timeoutMs: number): boolean {
		Atomics.store(this.#words, 0, sleeping);
		if (isThere()) {
			Atomics.store(this.#words, 0, awake);
			return true;
		}
		return Atomics.wait(this.#words, 0, sleeping, timeoutMs) !== "timed-out" || this.#stopSleeping();
	}

	/** True when a wake-up came just after the time was up. */
	#stopSleeping(): boolean {
		return Atomics.compareExchange(this.#words, 0, sleeping, awake) !== sleeping;
	}
}
