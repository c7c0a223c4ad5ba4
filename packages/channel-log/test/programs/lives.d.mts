export class Lives {
	constructor(buffer: ArrayBufferLike);
	static readonly bytes: number;
	acknowledged(slot: number, count: number): void;
	clear(slot: number): void;
	acknowledgedBy(slot: number): number;
}
