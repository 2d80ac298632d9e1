// The style sheets and the script that are part of pictures, as text: the files *.css and *.js of
// this folder, which the build puts into page_texts.cc.
#pragma once

#include <string_view>

namespace ktap::output {

/// picture.css: colours and letters of every picture, for light and dark screens.
extern const std::string_view kPictureStyle;
/// flame.css, flame.js, heatmap.css. None holds `]]>`.
extern const std::string_view kFlameStyle;
extern const std::string_view kFlameScript;
extern const std::string_view kHeatMapStyle;

}  // namespace ktap::output
