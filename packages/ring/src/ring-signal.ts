import { RingLayout } from "./ring-descriptor.ts";
import { RingError, RingErrorCode } from "./ring-error.ts";

const awake = 0;
const sleeping = 1;

/** Bytes to set aside for a signal: a separate line. */
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
 * With two signals, one each way, a side wakes the other before it goes to sleep itself: else a writer may wait for room
 * while the reader has not been told of what fills the ring.
 *
 * Atomics.waitAsync by itself does not keep its thread alive: Node would exit in the middle of it when nothing else is open.
 * The timer behind `sleep`'s deadline does, so a sleeper lives at least until then.
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

	/** Call after the change (commit, or read). Cheap when the other side is awake, so call it after every batch. */
	wake(): void {
		if (Atomics.load(this.#words, 0) !== sleeping) return;
		// Several wakers may see the sleeper; the one that changes the word notifies.
		if (Atomics.compareExchange(this.#words, 0, sleeping, awake) === sleeping) Atomics.notify(this.#words, 0);
	}

	/**
	 * Sleeps until woken, but not when `isThere()` already holds, and `timeoutMs` at most. True when there was something or
	 * somebody woke us, false when the time was up. The event loop runs meanwhile. To end a sleep early, wake it.
	 */
	async sleep(isThere: () => boolean, timeoutMs: number): Promise<boolean> {
		Atomics.store(this.#words, 0, sleeping);
		if (isThere()) {
			Atomics.store(this.#words, 0, awake);
			return true;
		}
		const wait = Atomics.waitAsync(this.#words, 0, sleeping);
		// "not-equal" at once: somebody woke us between the look and here.
		if (!wait.async) return true;
		// Our own timer, because one given to waitAsync is kept (about 300 bytes) until its time is up, even when the wait
		// ended long before: a busy sleeper would pile them up.
		let timeIsUp = false;
		const timer = setTimeout(() => {
			timeIsUp = Atomics.compareExchange(this.#words, 0, sleeping, awake) === sleeping;
			if (timeIsUp) Atomics.notify(this.#words, 0);
		}, timeoutMs);
		await wait.value;
		clearTimeout(timer);
		return !timeIsUp;
	}
}
