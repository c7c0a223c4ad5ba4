import { totalmem } from "node:os";

/** Memory that this process and those beside it may use, in bytes: of the container, or of the machine if that has less. */
export function memoryLimitBytes(): number {
	const limit = process.constrainedMemory();
	const total = totalmem();
	return limit > 0 && limit < total ? limit : total;
}
