/** More than any machine has. Keeps "0-4000000000" from filling the memory. */
const cpuMax = 4096;

/**
 * Parses the kernel's list format, "0-3,8", which `--cpus` uses too.
 * @returns the CPU numbers, ascending, without repetitions.
 * @throws RangeError whose message completes the sentence `"<text>" …`.
 */
export function parseCpuList(text: string): number[] {
	const cpus = new Set<number>();
	for (const part of text.trim().split(",")) {
		if (part.trim() === "") continue;
		const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
		if (match === null) throw new RangeError("is not a list of CPUs; write 0,1 or 0-3");
		const first = Number(match[1]);
		const last = Number(match[2] ?? match[1]);
		if (last < first) throw new RangeError(`has the range ${part.trim()}, which runs backwards`);
		if (last >= cpuMax) throw new RangeError(`names CPU ${last}; the highest possible is ${cpuMax - 1}`);
		for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
	}
	return [...cpus].sort((a, b) => a - b);
}

/** What a file of the kernel lists; null = nothing, or it is no such list, as emulators of a kernel may write. Never throws. */
export function readCpuList(text: string): number[] | null {
	try {
		const cpus = parseCpuList(text);
		return cpus.length === 0 ? null : cpus;
	} catch {
		return null;
	}
}

/** Formats CPU numbers: "0-3,8" for [0, 1, 2, 3, 8]. They must be ascending. */
export function formatCpuList(cpus: readonly number[]): string {
	const parts: string[] = [];
	for (let at = 0; at < cpus.length; ) {
		let end = at;
		while (end + 1 < cpus.length && cpus[end + 1] === cpus[end] + 1) end++;
		parts.push(end === at ? `${cpus[at]}` : `${cpus[at]}-${cpus[end]}`);
		at = end + 1;
	}
	return parts.join(",");
}
