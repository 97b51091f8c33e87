// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The scalar of this program. The templates of the library that take longest to compile are
/// declared `extern` in the headers of this folder and compiled in the source files of the same
/// names, so that several compilers share the work; one that includes less is done sooner.

namespace departments {

using Scalar = DEPARTMENTS_SCALAR;  // float or double, a macro of the build

}  // namespace departments
