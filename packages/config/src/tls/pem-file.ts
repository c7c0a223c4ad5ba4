import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** A chain of a few certificates has some kilobytes. */
const bytesMax = 262_144;

interface PemFile {
	readonly text: string;
	/** Its permission bits. */
	readonly mode: number;
}

/** Reads a file of certificates or keys, or says in the rest of a sentence that begins with its path why it cannot. */
export function readPemFile(path: string): PemFile | { readonly problem: string } {
	let file: number | null = null;
	try {
		// A pipe without a writer must not block a process that is serving.
		file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
		const status = fstatSync(file);
		if (!status.isFile()) return { problem: "is not a regular file; name one" };
		const bytes = Buffer.alloc(bytesMax + 1);
		let length = 0;
		for (;;) {
			const read = readSync(file, bytes, length, bytes.length - length, null);
			length += read;
			if (length > bytesMax) return { problem: `is longer than ${bytesMax} bytes; name a file in PEM` };
			if (read === 0) return { text: bytes.toString("latin1", 0, length), mode: status.mode & 0o777 };
		}
	} catch (error) {
		const { code, message } = error as NodeJS.ErrnoException;
		if (code === "ENOENT") return { problem: "does not exist; name a file that does" };
		if (code === "EACCES") return { problem: "may not be read by this user; change its owner or mode" };
		return { problem: `can't be read (${code ?? message})` };
	} finally {
		if (file !== null) closeSync(file);
	}
}
