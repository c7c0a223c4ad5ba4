/** How the messages of a load test spell what they carry: who sent it, which one it is, when it left, and a seal over it. */
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
