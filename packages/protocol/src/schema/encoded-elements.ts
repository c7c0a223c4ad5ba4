/**
 * Elements of a list of messages that are encoded already, at their place among the others: in JSON with commas between them, in Protobuf each
 * with its tag and its length. One or more.
 */
export class EncodedElements {
	readonly bytes: Uint8Array;

	constructor(bytes: Uint8Array) {
		this.bytes = bytes;
	}
}
