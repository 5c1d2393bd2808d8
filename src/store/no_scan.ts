/**
 * The one refusal of a scan that cannot be shown.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

/**
 * Makes the error of a scan that is not kept, or is another tenant's: nobody can tell the two apart.
 *
 * @returns The error.
 */
export function noScan(): AppError {
  return new AppError(
    "not_found",
    "Cannot find the scan: no scan with that scan_id is kept; list the scans to see which are",
  );
}
