/** A copy of a frame that may wait for several clients. `LaneMemory` counts its holders, so that its bytes count once. */
export class SharedFrame {
	readonly bytes: Uint8Array;
	/** Written by `LaneMemory` only. */
	holders = 0;

	/** @param bytes must not change any more. */
	constructor(bytes: Uint8Array) {
		this.bytes = bytes;
	}
}
