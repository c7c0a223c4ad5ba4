/**
 * Elements of a list of messages that are already encoded: in JSON with commas between them, in Protobuf each with its tag and its length. At
 * least one.
 */
export class EncodedElements {
	readonly bytes: Uint8Array;

	constructor(bytes: Uint8Array) {
		this.bytes = bytes;
	}
}
