// The pieces of an HTML page that needs nothing else: no script, no font, no picture, from here or
// elsewhere. The pages of jobs, of comparisons and of the service are made of them.
//
// Thread-safety: pure functions. What comes from outside goes through html_escaped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rotor {

/// `text` where HTML expects text or a quoted attribute; control characters as \xNN.
std::string html_escaped(std::string_view text);

/// A cell of a table, escaped; `number_cell` is set to the right, in digits of one width.
std::string html_cell(std::string_view text);
std::string html_number_cell(std::string_view text);

/// The head of a table; html_table_end() ends it.
std::string html_table_begin(const std::vector<std::string>& columns);
std::string html_table_end();

/// A whole page: `head` is put into <head> as it is, `body` follows the heading.
std::string html_page(std::string_view title, std::string_view head, std::string_view body);

/// A relative error as a colour of CSS: green for 1e-4 and better over yellow to red for 1e-1 and
/// worse, by its order.
std::string error_colour(double error);

}  // namespace rotor
