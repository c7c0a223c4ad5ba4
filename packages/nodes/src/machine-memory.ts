import { freemem, totalmem } from "node:os";

interface MachineMemory {
	readonly totalBytes: number;
	/** Without what the kernel can take back from its caches. */
	readonly availableBytes: number;
	/** Of the container; 0 or a huge number = none. */
	readonly limitBytes: number;
}

/**
 * The part of the memory that is in use, 0 to 1: of the machine, or of the limit of its container, whichever is scarcer.
 * @param residentBytes of this node's processes; memory that they share counts for each, so this errs on the safe side. The count of the container itself
 * includes caches, which say nothing.
 */
export function memoryInUse(residentBytes: number, { totalBytes, availableBytes, limitBytes }: MachineMemory = machineMemory()): number {
	const ofMachine = totalBytes > 0 ? 1 - availableBytes / totalBytes : 0;
	const ofLimit = limitBytes > 0 ? residentBytes / limitBytes : 0;
	return Math.min(1, Math.max(0, ofMachine, ofLimit));
}

function machineMemory(): MachineMemory {
	return { totalBytes: totalmem(), availableBytes: freemem(), limitBytes: process.constrainedMemory() };
}
