/** The encoding of a load test's messages: sender, number, send time, and a checksum. */
export interface PayloadFormat {
	/** Shortest message. */
	readonly bytesMin: number;
	/** A new buffer: the socket keeps it until the kernel has taken it. */
	write(bytes: number, sender: number, number: number, sentMs: number): Buffer;
	/** False for anything that is not a whole payload; the readers below are to be used only after that. */
	isPayload(bytes: Buffer, start: number, end: number): boolean;
	senderOf(bytes: Buffer, start: number): number;
	numberOf(bytes: Buffer, start: number): number;
	sentMsOf(bytes: Buffer, start: number): number;
}
