import { accessSync, constants, statSync } from "node:fs";

/** Why a file cannot be read, as the rest of a sentence; null = it can. */
export function fileProblem(path: string): string | null {
	try {
		if (!statSync(path).isFile()) return "is not a regular file; name one";
		accessSync(path, constants.R_OK);
		return null;
	} catch (error) {
		const { code, message } = error as NodeJS.ErrnoException;
		if (code === "ENOENT") return "does not exist; name a file that does";
		return `${code === "EACCES" ? "may not be read by this user" : `can't be read (${code ?? message})`}; change its mode or name another`;
	}
}
