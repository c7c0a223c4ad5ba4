/** Parts of a bound: pressed from the upper one, relieved from the lower one on, so that a source is not paused and resumed per frame. */
export const PressureMarks = { pressedAt: 0.8, relievedAt: 0.5 } as const;

/** Whether something that has a bound on frames and on bytes is so full that its source must pause. */
export class Pressure {
	#isPressed = false;
	/** From so many frames, or bytes, on it becomes pressed. */
	readonly framesPressed: number;
	readonly bytesPressed: number;
	readonly #framesRelieved: number;
	readonly #bytesRelieved: number;

	constructor(framesMax: number, bytesMax: number) {
		// At least one frame, so that a bound of one frame is not pressed when it is empty.
		this.framesPressed = Math.max(1, Math.ceil(framesMax * PressureMarks.pressedAt));
		this.#framesRelieved = Math.floor(framesMax * PressureMarks.relievedAt);
		this.bytesPressed = Math.max(1, Math.ceil(bytesMax * PressureMarks.pressedAt));
		this.#bytesRelieved = Math.floor(bytesMax * PressureMarks.relievedAt);
	}

	get isPressed(): boolean {
		return this.#isPressed;
	}

	/** Something was refused: it is pressed, at whatever fullness, until it is relieved. */
	press(): void {
		this.#isPressed = true;
	}

	/** @returns whether it is pressed now and was not. */
	update(frames: number, bytes: number): boolean {
		if (this.#isPressed) {
			this.#isPressed = frames > this.#framesRelieved || bytes > this.#bytesRelieved;
			return false;
		}
		this.#isPressed = frames >= this.framesPressed || bytes >= this.bytesPressed;
		return this.#isPressed;
	}
}
