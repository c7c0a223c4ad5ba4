import { RingLayout } from "./ring-descriptor.ts";
import { RingError, RingErrorCode } from "./ring-error.ts";

const awake = 0;
const sleeping = 1;

/** Bytes to allocate for a signal: a separate line. */
export const signalBytes: number = RingLayout.lineBytes;

/**
 * Wakes a thread that waits for a ring to change, within one process. A worker that writes wakes the event loop that reads. With a second
 * signal, a reader that made room wakes a writer that found the ring full. **One sleeper, any number of wakers.** Not for memory shared
 * between processes: Atomics.notify does not reach them.
 *
 * There is one word, `sleeping`. No wake-up is lost, because each side writes before it checks:
 *
 *   sleeper: set sleeping to 1, then check for records, then sleep while sleeping is 1
 *   waker:   change the ring, then check sleeping; if it is 1, set it to 0 and notify
 *
 * All four are sequentially consistent, so either the sleeper sees the change or the waker sees the sleeper. Under load no thread sleeps,
 * and a wake costs one load.
 *
 * With two signals, one in each direction, a side must wake the other before it sleeps. Otherwise a writer may wait for room while the
 * reader does not know of the records that fill the ring.
 *
 * Atomics.waitAsync does not keep its thread alive: Node would exit during the wait if nothing else is open. The timer for the timeout of
 * `sleep` keeps the thread alive until then.
 */
export class RingSignal {
	readonly #words: Int32Array<SharedArrayBuffer>;

	/** The bytes must be zero initially. `byteOffset` must be a multiple of 4. */
	constructor(buffer: SharedArrayBuffer, byteOffset = 0) {
		if (byteOffset % 4 !== 0 || byteOffset < 0 || buffer.byteLength - byteOffset < signalBytes)
			throw new RingError(
				RingErrorCode.badArgument,
				`a signal at byte ${byteOffset} of ${buffer.byteLength}`,
				`it takes ${signalBytes} bytes from a multiple of 4`,
			);
		this.#words = new Int32Array(buffer, byteOffset, 1);
	}

	/** Call after a change (commit or read). Cheap while the other side is awake, so call it after every batch. */
	wake(): void {
		if (Atomics.load(this.#words, 0) !== sleeping) return;
		// Several wakers may see the sleeper; the one that changes the word notifies.
		if (Atomics.compareExchange(this.#words, 0, sleeping, awake) === sleeping) Atomics.notify(this.#words, 0);
	}

	/**
	 * Sleeps until woken, at most `timeoutMs`. Does not sleep if `isThere()` returns true. Resolves with true if it did not sleep or was woken,
	 * with false after the timeout. The event loop runs meanwhile. To end a sleep early, call `wake`.
	 */
	async sleep(isThere: () => boolean, timeoutMs: number): Promise<boolean> {
		Atomics.store(this.#words, 0, sleeping);
		if (isThere()) {
			Atomics.store(this.#words, 0, awake);
			return true;
		}
		const wait = Atomics.waitAsync(this.#words, 0, sleeping);
		// "not-equal": woken between the check and here.
		if (!wait.async) return true;
		// A separate timer, because a timeout given to waitAsync is kept (about 300 bytes) until it expires, even if the wait
		// ended long before. A busy sleeper would accumulate them.
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
