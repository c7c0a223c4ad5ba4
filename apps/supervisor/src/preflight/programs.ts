import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Whether a program is in PATH. */
export function hasProgram(name: string, path = process.env.PATH ?? ""): boolean {
	return path.split(delimiter).some((folder) => {
		try {
			accessSync(join(folder, name), constants.X_OK);
			return true;
		} catch {
			return false;
		}
	});
}
